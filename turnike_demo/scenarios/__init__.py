"""What happens during a demo with a number of taps: suspensions and a cut network, or chaos."""

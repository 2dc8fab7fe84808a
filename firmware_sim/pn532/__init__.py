"""The simulated PN532, from the frames on its UART to the cards in its radio field."""

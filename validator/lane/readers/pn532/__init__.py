"""The PN532 on a UART: reader > opener > chip > line, each a floor of its own."""

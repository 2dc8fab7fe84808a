"""A contactless smart card reader (USB class CCID) on the simulated USB bus.

    models      readers that libccid knows: ids, names, interfaces
    messages    the codec of CCID messages
    slot        one slot: a field with cards, or a place for a SAM that is empty
    picc        what such a reader answers of itself: ATR, GET DATA
    reader      the device: endpoints, verbs
    faults      the faults by name
    cli         the command `firmware-sim ccid`

Sources: USB CCID specification 1.1; PC/SC part 3 (supplemental document for contactless cards); the
descriptors that libccid's authors have collected (readers/ of LudovicRousseau/CCID). What these do
not show, such as how often a reader polls its field, is marked *assumed*.
"""

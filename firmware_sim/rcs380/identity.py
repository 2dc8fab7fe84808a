"""What an RC-S380 says about itself on the bus."""

from firmware_sim.usb.descriptors import Descriptors, Endpoint, Interface, Kind

__all__ = ["ENDPOINT_IN", "ENDPOINT_OUT", "KERNEL_DRIVER", "MODELS", "identity"]

SONY = 0x054C
MODELS = {"S": 0x06C1, "P": 0x06C3}
ENDPOINT_OUT, ENDPOINT_IN = 0x02, 0x81
RELEASE = 0x0111  # firmware 1.11, as GetFirmwareVersion says
KERNEL_DRIVER = "port100"  # Linux' own
VENDOR_SPECIFIC = (0xFF, 0, 0)


def identity(model: str, serial: str) -> Descriptors:
    """Return the identity of an RC-S380/S or /P, by its last letter.

    Raises:
        ValueError: the serial number cannot be one.
    """
    endpoints = (Endpoint(ENDPOINT_OUT, Kind.BULK), Endpoint(ENDPOINT_IN, Kind.BULK))
    return Descriptors(
        vendor=SONY,
        product=MODELS[model],
        release=RELEASE,
        manufacturer="SONY",
        product_name=f"RC-S380/{model}",
        serial=serial,
        interfaces=(Interface(VENDOR_SPECIFIC, endpoints),),
    )

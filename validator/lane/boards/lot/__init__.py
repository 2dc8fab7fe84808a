"""LOT turnstiles (Expert, Eco, Porta) on Modbus RTU: board > gate > master > frames.

Source: the maker's register map, "Описание регистров SDK" in github.com/lotltd/TurnstileModbusSDK,
folder doc, as of 2018-09-10, and the time-outs of its C++ SDK. What it does not say, and this
driver therefore does not promise, is in docs/boards.md.
"""

from validator.lane.ports import BoardAbilities

ABILITIES = BoardAbilities(
    confirms=True,
    passage=True,
    forced=False,  # the map does not say that passages without permission are counted
    emergency=True,
    tamper=False,
    lamps=True,
    picture=False,
    date=False,
    directions=True,
)

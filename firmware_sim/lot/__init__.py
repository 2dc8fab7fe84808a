"""A simulated LOT turnstile: Modbus RTU, written from the maker's register map.

Source: "Описание регистров SDK" in github.com/lotltd/TurnstileModbusSDK, folder doc, 2018-09-10.
Assumed, since the map does not say it: that one read sees one moment, that a permission is counted
down in the same moment in which the passage is counted, that the counters begin at 0 after a
restart, and that the antipanic input shows in register 3000h.
"""

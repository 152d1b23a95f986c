"""Will this caller give up? Scored after every reply, from what is known by then.

``features`` makes the table, ``training`` fits two heads on it, ``evaluation`` judges them on later days, ``registry``
keeps versions, ``plots`` draws. Frames in, values and files out, no Dagster; only ``certified`` reads a
database.
"""

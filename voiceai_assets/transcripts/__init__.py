"""What a transcript says about the business: sales, amounts, sentiment. Pure functions from text to values.

Belongs here: reading words. Does not belong here: Dagster, SQL, files, dates, who may see a text.

The order of a call: ``dialogue`` cuts it into turns, ``cleaning`` brings each into one spelling, ``amounts`` finds sums
of money, ``sales`` follows offers to their end, ``sentiment`` scores what the customer says, ``signals`` puts all of it
into one record beside what the business system booked. ``evaluation`` measures how often that is right.
"""

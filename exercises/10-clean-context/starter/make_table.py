"""Prints a table, as CSV: for each day of a year and each latitude, how long the sun is above the horizon.

The declination of the sun by day is an approximation good to about half a degree.
"""

import math


def minutes(latitude, day):
    declination = math.radians(-23.44) * math.cos(2 * math.pi * (day + 10) / 365)
    cosine = -math.tan(math.radians(latitude)) * math.tan(declination)
    # Beyond 1 and -1 lie the days on which the sun does not rise, and those on which it does not set.
    return round(24 * 60 * math.acos(max(-1.0, min(1.0, cosine))) / math.pi)


if __name__ == "__main__":
    for half_degrees in range(-178, 179):
        for day in range(1, 366):
            print(f"{half_degrees / 2},{day},{minutes(half_degrees / 2, day)}")

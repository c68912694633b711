"""Writes primes.bin: every prime number below thirty million. The app looks them up instead of searching for them."""

from array import array

LIMIT = 30_000_000


def sieve(limit):
    """The sieve of Eratosthenes: cross out the multiples of every prime; what is left is prime."""
    left = bytearray([1]) * limit
    left[0] = left[1] = 0
    for number in range(2, int(limit**0.5) + 1):
        if left[number]:
            left[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return array("I", (number for number in range(limit) if left[number]))


if __name__ == "__main__":
    primes = sieve(LIMIT)
    with open("primes.bin", "wb") as file:
        primes.tofile(file)
    print(f"primes.bin: {len(primes)} primes below {LIMIT}", flush=True)

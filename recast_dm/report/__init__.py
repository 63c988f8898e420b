"""Runs as pictures: the spectrum of the observable with data, background and signal."""

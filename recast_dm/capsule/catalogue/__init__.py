"""The capsules and analyses known here: `entries` is the user's file, `places` what a word on the command line means,
`about` what lies at a place, `listing` everything that is known, `checking` whether it is in order.
"""

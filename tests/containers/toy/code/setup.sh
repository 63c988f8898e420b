# What an experiment would call its setup script: for the tests of `envscript`.
export TUNE=A14

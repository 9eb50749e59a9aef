"""What the tests of requests need of those of the command line."""

from tests.cli.conftest import tiny as tiny

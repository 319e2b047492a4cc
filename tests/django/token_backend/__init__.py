"""A backend that makes its password at each login, as those of clouds do."""

"""A learning platform; Django's engine for MySQL uses PyMySQL here."""

import pymysql

pymysql.install_as_MySQLdb()

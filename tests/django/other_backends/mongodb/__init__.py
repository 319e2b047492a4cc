"""As MongoDB's official backend: its cursors can do nothing, and are None in a `with` statement."""

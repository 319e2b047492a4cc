"""Health checks for Django: from settings to the Lifesigns engine, and from its reports to URLs and commands.

The rooms, from the ground; each imports only from rooms before it (`tests/unit/test_structure.py`):
`checks` · `settings` · `targets` · `history` · `runtime` · `http` · `health_checks` · `management`.
What a Django developer looks for stands beside them: `apps`, `admin`, `middleware`, `models`, `service`, `urls`,
`views`.
"""

"""Who may use Tagwatch and whom they may see: accounts, roles, sessions, tokens, and the audit log."""

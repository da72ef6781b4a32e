"""What every resource family of the API shares: shapes, errors, paging, permissions, the outer shell."""

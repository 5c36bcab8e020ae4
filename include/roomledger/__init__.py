"""Roomledger: 100ms recordings from object stores into warehouse tables, exactly once and provably."""

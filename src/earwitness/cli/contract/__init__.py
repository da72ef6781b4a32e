"""``earwitness contract``: which operations of the contract pass through the vendor's SDK."""

from earwitness.cli.contract.command import print_contract

__all__ = ["print_contract"]

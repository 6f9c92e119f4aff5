# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""What Scripts/bench-relay is made of."""

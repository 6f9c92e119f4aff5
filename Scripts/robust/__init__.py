# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""The parts of Scripts/robustness."""

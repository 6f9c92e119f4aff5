// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

#pragma once

/// The commit that this was built from, as Scripts/version gave it to the package (LEGATION_COMMIT); "unknown" when
/// nobody did. A static string.
const char *clinux_build_commit(void);

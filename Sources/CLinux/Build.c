// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

#include "Build.h"

const char *clinux_build_commit(void) {
    return LEGATION_COMMIT;
}

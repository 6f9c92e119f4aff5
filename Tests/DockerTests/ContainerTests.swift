// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Testing

@Suite struct ContainerTests {
    @Test func anUnknownStateIsKept() {
        #expect(ContainerState(rawValue: "stopping").description == "stopping")
    }
}

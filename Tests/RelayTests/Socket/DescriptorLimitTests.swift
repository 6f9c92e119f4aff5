// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Relay

@Suite struct DescriptorLimitTests {
    /// docs/promises.md, "The relay": (nofile - min(256, nofile/4) - 2 x min(32, nofile/64)) / 2.
    @Test(arguments: [(20_000, 9_840), (1_024, 368), (300, 108), (65_536, 32_608), (8, 3), (1, 1)])
    func connectionsFollowFromDescriptors(descriptors: Int, connections: Int) {
        #expect(DescriptorLimit.connections(descriptors: descriptors) == connections)
    }

    @Test(arguments: [(20_000, 32), (2_048, 32), (1_024, 16), (300, 4), (63, 0)])
    func pipesFollowFromDescriptors(descriptors: Int, pipes: Int) {
        #expect(DescriptorLimit.pipes(descriptors: descriptors) == pipes)
    }

    @Test func pipesThatAreAskedForCostConnections() {
        #expect(DescriptorLimit.pipes(descriptors: 20_000, wanted: 100) == 100)
        #expect(DescriptorLimit.pipes(descriptors: 80, wanted: 100) == 10)
        #expect(DescriptorLimit.connections(descriptors: 20_000, pipes: 100) == 9_772)
        #expect(DescriptorLimit.connections(descriptors: 20_000, pipes: 0) == 9_872)
    }

    @Test func hundredThousandUnlessSet() {
        #expect(DescriptorLimit.connections(descriptors: 1 << 20) == 100_000)
        #expect(DescriptorLimit.connections(descriptors: 1 << 20, wanted: 200_000) == 200_000)
        #expect(DescriptorLimit.connections(descriptors: 1 << 20, wanted: 7) == 7)
        // Descriptors that are not there cannot be asked for.
        #expect(DescriptorLimit.connections(descriptors: 20_000, wanted: 200_000) == 9_840)
    }
}

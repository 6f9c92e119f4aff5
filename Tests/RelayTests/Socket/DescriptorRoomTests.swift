// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Relay

// It opens descriptors, which those that count them must not see come and go.
extension SocketSuites {
    /// docs/promises.md, "The relay": 16 descriptors and two a worker stay free.
    @Suite struct DescriptorRoomTests {
        private let limit: Int
        private let room = DescriptorRoom(workers: 2)

        init() throws {
            limit = try DescriptorLimit.current()
            room.look()
        }

        @Test func clientsEndTwoAWorkerBeforeConnectsDo() {
            #expect(room.mayAccept(after: Int32(limit - 21)))
            #expect(!room.mayAccept(after: Int32(limit - 20)))
            #expect(room.mayConnect(with: Int32(limit - 17)))
            #expect(!room.mayConnect(with: Int32(limit - 16)))
        }

        @Test func anyNumberIsRightBeforeTheFirstLook() {
            #expect(DescriptorRoom(workers: 2).mayAccept(after: .max))
        }

        @Test func thereIsRoomBesideWhatIsOpen() {
            #expect(room.isThere(beside: 0))
            #expect(!room.isThere(beside: -1))
        }
    }
}

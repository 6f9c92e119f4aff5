// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import Synchronization
import Testing

/// A `LastGoodStore` in memory that counts, and fails when told to.
final class MemoryLastGood: LastGoodStore {
    private struct State {
        var stored: LastGood?
        var loads = 0
        var saves = 0
        var refuses = false
    }

    let origin: LastGood.Origin
    private let state = Mutex(State())

    init(services: [String] = ["redis"]) throws {
        origin = LastGood.Origin(
            prefix: "/services", endpoints: ["http://a:2379"],
            services: try services.map { try #require(ServiceName($0)) })
    }

    var stored: LastGood? { state.withLock { $0.stored } }
    var loads: Int { state.withLock { $0.loads } }
    /// Attempts.
    var saves: Int { state.withLock { $0.saves } }
    var refuses: Bool {
        get { state.withLock { $0.refuses } }
        set { state.withLock { $0.refuses = newValue } }
    }

    func load() throws -> LastGood? {
        try state.withLock { state in
            state.loads += 1
            if state.refuses { throw LastGood.Refusal.checksum }
            return state.stored
        }
    }

    func save(_ lastGood: LastGood) throws {
        try state.withLock { state in
            state.saves += 1
            if state.refuses { throw LastGood.Refusal.form }
            state.stored = lastGood
        }
    }
}

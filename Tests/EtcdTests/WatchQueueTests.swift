// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Synchronization
import Testing

@testable import Etcd

@Suite(.timeLimit(.minutes(1))) struct WatchQueueTests {
    private final class Calls: Sendable {
        let count = Mutex(0)
    }

    private let calls = Calls()

    private func queue(limit: Int = 3) -> WatchQueue {
        WatchQueue(limit: limit) { [calls] in calls.count.withLock { $0 += 1 } }
    }

    private func changes(_ revision: Int64, _ count: Int = 1) -> WatchEvent {
        .changes(Revision(revision), Array(repeating: .delete(key: [1], Revision(revision)), count: count))
    }

    private func reset(_ revision: Int64) -> WatchEvent {
        .reset(Listing(revision: Revision(revision), keyValues: []))
    }

    @Test func handsOverInOrderAndEndsWithWhatWaits() async throws {
        let queue = queue()
        #expect(queue.push(changes(1)) && queue.push(changes(2)))
        queue.finish()
        #expect(try await queue.next() == changes(1))
        #expect(try await queue.next() == changes(2))
        #expect(try await queue.next() == nil)
        #expect(try await queue.next() == nil)
    }

    @Test func whoWaitsGetsTheNext() async throws {
        let queue = queue()
        async let next = queue.next()
        await Task.yield()
        #expect(queue.push(changes(1)))
        #expect(try await next == changes(1))
    }

    @Test func throwsItsErrorBehindWhatWaits() async throws {
        let queue = queue()
        #expect(queue.push(changes(1)))
        queue.finish(throwing: EtcdError(.permissionDenied, "no"))
        #expect(try await queue.next() == changes(1))
        await #expect(throws: EtcdError.self) { try await queue.next() }
    }

    @Test func tooMuchDropsWhatWaitsUntilAReset() async throws {
        let queue = queue()
        #expect(queue.push(changes(1)) && queue.push(changes(2, 2)))
        #expect(!queue.push(changes(3)), "a fourth change")
        #expect(queue.push(changes(4)), "dropped without another word")
        #expect(calls.count.withLock { $0 } == 0, "nothing is listed for a consumer that is away")
        async let next = queue.next()
        while calls.count.withLock({ $0 }) == 0 { await Task.yield() }
        #expect(queue.isStarved)
        #expect(queue.push(reset(9)))
        #expect(try await next == reset(9))
        #expect(queue.push(changes(10)))
        #expect(try await queue.next() == changes(10))
        #expect(calls.count.withLock { $0 } == 1)
    }

    @Test func oneEventLargerThanTheLimitIsTaken() async throws {
        let queue = queue()
        #expect(queue.push(changes(1, 50)))
        #expect(!queue.push(changes(2)))
    }

    @Test func aResetSaysAllThatThoseBeforeItSaid() async throws {
        let queue = queue()
        #expect(queue.push(changes(1)) && queue.push(reset(2)) && queue.push(changes(3)))
        #expect(try await queue.next() == reset(2))
        #expect(try await queue.next() == changes(3))
    }

    @Test func aCancelledConsumerGetsNilAndTheNextOneGoesOn() async throws {
        let queue = queue()
        let cancelled = await withTaskGroup(of: WatchEvent??.self) { group in
            group.addTask { try? await queue.next() }
            await Task.yield()
            group.cancelAll()
            return await group.next()
        }
        #expect(cancelled == .some(.some(nil)) || cancelled == .some(nil))
        #expect(queue.push(changes(1)))
        #expect(try await queue.next() == changes(1))
    }
}

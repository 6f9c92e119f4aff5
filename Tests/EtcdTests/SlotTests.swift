// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

@Suite(.timeLimit(.minutes(1))) struct SlotTests {
    private let slot = Slot<Int>("number")
    private let long = Duration.seconds(50)

    @Test func whoWaitsIsAnsweredByTheNextPut() async throws {
        async let first = slot.value(within: long, for: "a")
        async let second = slot.value(within: long, for: "b")
        await Task.yield()
        slot.put(7)
        #expect(try await [first, second] == [7, 7])
        #expect(slot.current == 7)
    }

    @Test func whoWaitsInVainIsToldTheLastReason() async {
        slot.clear(after: EtcdError(.unavailable, "refused"))
        slot.clear(after: nil)
        let error = await #expect(throws: EtcdError.self) {
            try await slot.value(within: .milliseconds(10), for: "put")
        }
        #expect(error?.code == .unavailable)
        #expect(error?.message == "put: no number within 10 ms: refused")
    }

    @Test func aRefusalAnswersThoseWhoWaitAndThoseWhoComeUntilThereIsAnother() async throws {
        async let waiting = failure(within: long)
        await Task.yield()
        slot.refuse(with: EtcdError(.unauthenticated, "wrong password"))
        let early = await waiting
        let late = await #expect(throws: EtcdError.self) { try await slot.value(within: long, for: "b") }
        #expect(early?.code == .unauthenticated && late?.message == "wrong password")
        slot.put(1)
        #expect(try await slot.value(within: long, for: "c") == 1)
    }

    @Test func aTaskThatIsCancelledStopsWaiting() async {
        let error = await withTaskGroup(of: EtcdError?.self) { group in
            group.addTask { [self] in await failure(within: long) }
            await Task.yield()
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(error?.code == .cancelled)
    }

    private func failure(within limit: Duration) async -> EtcdError? {
        do throws(EtcdError) {
            _ = try await slot.value(within: limit, for: "test")
            return nil
        } catch {
            return error
        }
    }
}

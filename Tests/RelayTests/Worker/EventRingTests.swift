// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@testable import Relay

@Suite struct EventRingTests {
    @Test func eventsComeInOrderAndWhatDoesNotFitIsCounted() {
        let ring = EventRing(capacity: 4)
        for number in 0..<6 { ring.push(.acceptPaused(errorNumber: Int32(number))) }
        #expect(ring.dropped == 2)
        #expect(taken(from: ring) == [0, 1, 2, 3])
        for number in 6..<9 { ring.push(.acceptPaused(errorNumber: Int32(number))) }
        #expect(taken(from: ring) == [6, 7, 8])
        #expect(ring.pop() == nil)
        #expect(ring.dropped == 2)
    }

    @Test(.timeLimit(.minutes(1)))
    func readerBesideTheWriterSeesEachEventOnce() async throws {
        let ring = EventRing(capacity: 64)
        let count: Int32 = 50_000
        try await onThread {
            let writer = Beside { for number in 0..<count { ring.push(.acceptPaused(errorNumber: number)) } }
            var (seen, last) = (0, Int32(-1))
            try eventually("all are taken or dropped", within: .seconds(30)) {
                while let event = ring.pop() {
                    guard case .acceptPaused(let number) = event, number > last else { throw TestFailure("\(event)") }
                    (seen, last) = (seen + 1, number)
                }
                return seen + Int(ring.dropped) == Int(count)
            }
            try writer.join()
            #expect(seen > 0)
        }
    }

    private func taken(from ring: EventRing) -> [Int32] {
        var numbers: [Int32] = []
        while case .acceptPaused(let number)? = ring.pop() { numbers.append(number) }
        return numbers
    }
}

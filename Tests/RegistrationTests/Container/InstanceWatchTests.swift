// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registry
import ServiceModel
import Testing

@testable import Registration

@Suite struct FirstProbeTests {
    @Test func asksFiveTimesASecondAndTenSecondsAtMost() {
        var probe = FirstProbe(since: .seconds(3))
        #expect(probe.nextProbe == .seconds(3) && probe.deadline == .seconds(13))
        probe.probed(false, now: .seconds(4))
        #expect(probe.nextProbe == .milliseconds(4200))
        #expect(!probe.isOver(now: .seconds(13) - .nanoseconds(1)))
        #expect(probe.isOver(now: .seconds(13)) && !probe.hasAccepted)
        probe.probed(true, now: .seconds(5))
        #expect(probe.isOver(now: .seconds(5)) && probe.hasAccepted)
    }
}

/// Which instances are published of those that the engine says are there.
@Suite struct InstanceWatchTests {
    private typealias Offer = InstanceWatch.Offer

    private func offer(
        _ endpoint: String = "10.77.0.1:32768", _ state: InstanceRecord.State = .up, isChecked: Bool = false,
        _ transport: ContainerPort.Transport = .tcp, container: String = "c", port: UInt16 = 6379
    ) throws -> Offer {
        let registration = try Fixture.registration(instance: "\(container):\(endpoint):\(port)", at: endpoint)
        let id = InstanceWatch.ID(
            container: container, port: port, endpoint: registration.endpoint, transport: transport)
        return Offer(id: id, wanted: Wanted(registration, state), isChecked: isChecked)
    }

    private func published(_ watch: InstanceWatch, _ now: Duration = .zero) -> [String] {
        watch.decision(now: now).wanted.map { "\($0.registration.endpoint) \($0.state)" }
    }

    /// Asks all that is due. - Returns: who was asked.
    @discardableResult
    private func ask(_ watch: inout InstanceWatch, _ accepts: Bool, _ now: Duration) -> [Endpoint] {
        let probes = watch.takeProbes(now: now, limit: 100)
        for probe in probes { watch.probed(probe, accepts, now: now) }
        return probes.map(\.id.endpoint)
    }

    /// Published, with the engine away since then.
    private func away(_ offers: [Offer]) -> InstanceWatch {
        var watch = InstanceWatch()
        watch.offered(offers, now: .zero)
        ask(&watch, true, .zero)
        watch.lost(now: .zero)
        return watch
    }

    // MARK: At first

    @Test func aPortIsPublishedOnceItAccepts() throws {
        var watch = InstanceWatch()
        watch.offered([try offer()], now: .zero)
        #expect(published(watch).isEmpty && watch.nextProbe(now: .zero) == .zero)
        ask(&watch, false, .zero)
        #expect(published(watch).isEmpty && watch.nextProbe(now: .zero) == .milliseconds(200))
        let early = ask(&watch, true, .milliseconds(199))
        #expect(early.isEmpty, "nobody is asked before the time")
        ask(&watch, true, .milliseconds(200))
        #expect(published(watch, .milliseconds(200)) == ["10.77.0.1:32768 up"])
        #expect(watch.nextProbe(now: .seconds(1)) == nil && watch.deadline(now: .seconds(1)) == nil)
        #expect(watch.decision(now: .seconds(60)).silent.isEmpty)
    }

    @Test func aPortThatNeverAcceptsIsPublishedAfterTenSecondsAndToldOf() throws {
        var watch = InstanceWatch()
        watch.offered([try offer()], now: .seconds(1))
        ask(&watch, false, .seconds(1))
        #expect(watch.deadline(now: .seconds(1)) == .seconds(11))
        watch.timeReached(.seconds(11) - .nanoseconds(1))
        #expect(published(watch, .seconds(11)).isEmpty)
        watch.timeReached(.seconds(11))
        #expect(published(watch, .seconds(11)).count == 1)
        #expect(watch.decision(now: .seconds(11)).silent.map(\.id.container) == ["c"])
        #expect(watch.nextProbe(now: .seconds(11)) == nil)
        // And is no witness of itself while the engine is away: it may be out of our reach alone.
        watch.lost(now: .seconds(20))
        #expect(watch.nextProbe(now: .seconds(20)) == nil && watch.deadline(now: .seconds(20)) == .seconds(140))
    }

    /// Who was there when we came, and may have been published by a former process.
    @Test func whoWasThereBeforeUsMayStandUntilItIsKnownToBeFit() throws {
        func tentative(_ watch: InstanceWatch) -> [String] {
            let wanted = watch.decision(now: .zero).tentative
            #expect(wanted.allSatisfy { $0.isTentative && $0.state == .up })
            return wanted.map(\.registration.endpoint.description)
        }
        var watch = InstanceWatch()
        watch.offered([], now: .zero)
        watch.offered([try offer(), try offer("10.77.0.1:2", .draining)], now: .zero)
        #expect(tentative(watch) == ["10.77.0.1:32768"])
        watch.offered([try offer(), try offer("10.77.0.1:3")], now: .zero)
        #expect(tentative(watch) == ["10.77.0.1:32768"], "not who has come since")
        ask(&watch, true, .zero)
        #expect(tentative(watch).isEmpty && published(watch).count == 2)
    }

    @Test(arguments: [(true, ContainerPort.Transport.tcp), (false, .udp)])
    func whatIsCheckedOrCannotBeAskedIsPublishedAtOnce(
        _ isChecked: Bool, _ transport: ContainerPort.Transport
    ) throws {
        var watch = InstanceWatch()
        watch.offered([try offer("10.77.0.1:32768", .up, isChecked: isChecked, transport)], now: .zero)
        #expect(published(watch).count == 1 && watch.nextProbe(now: .zero) == nil)
    }

    @Test func aPausedOneIsShownWithoutAQuestionAndAskedWhenItGoesOn() throws {
        var watch = InstanceWatch()
        watch.offered([try offer("10.77.0.1:32768", .draining)], now: .zero)
        #expect(published(watch) == ["10.77.0.1:32768 draining"] && watch.nextProbe(now: .zero) == nil)
        watch.offered([try offer()], now: .seconds(5))
        #expect(published(watch, .seconds(5)).isEmpty && watch.nextProbe(now: .seconds(5)) == .seconds(5))
        ask(&watch, true, .seconds(5))
        watch.offered([try offer("10.77.0.1:32768", .draining)], now: .seconds(6))
        watch.offered([try offer()], now: .seconds(7))
        #expect(published(watch, .seconds(7)).count == 1, "once is enough")
    }

    @Test func anotherAddressIsAnotherInstance() throws {
        var watch = away([try offer()])
        watch.found()
        watch.offered([try offer("10.77.0.1:32769")], now: .zero)
        #expect(published(watch).isEmpty)
        let asked = ask(&watch, true, .zero)
        #expect(asked.map(\.description) == ["10.77.0.1:32769"])
        #expect(published(watch) == ["10.77.0.1:32769 up"])
        // One that is back is asked again.
        watch.offered([], now: .zero)
        watch.offered([try offer("10.77.0.1:32769")], now: .zero)
        #expect(published(watch).isEmpty)
    }

    @Test func probesAreTakenOnceAndNotTooManyAtATime() throws {
        var watch = InstanceWatch()
        let ports = (1...5).map { "10.77.0.1:\($0)" }
        watch.offered(try ports.map { try offer($0) }, now: .zero)
        let first = watch.takeProbes(now: .zero, limit: 3)
        let second = watch.takeProbes(now: .zero, limit: 3)
        let third = watch.takeProbes(now: .zero, limit: 3)
        #expect((first + second).map { "\($0.id.endpoint)" } == ports && third.isEmpty)
        #expect(watch.nextProbe(now: .zero) == nil)
        watch.probed(first[1], true, now: .zero)
        #expect(published(watch) == ["10.77.0.1:2 up"])
    }

    /// As many as are asked at once may answer nothing, each for a second: longer than until it is asked again.
    @Test func whoHasWaitedLongestIsAskedFirst() throws {
        var watch = InstanceWatch()
        watch.offered(try (1...5).map { try offer("10.77.0.1:\($0)") }, now: .zero)
        var asked: [UInt16] = []
        for second in 0..<4 {
            let probes = watch.takeProbes(now: .seconds(second), limit: 2)
            for probe in probes { watch.probed(probe, false, now: .seconds(second + 1)) }
            asked += probes.map(\.id.endpoint.port)
        }
        #expect(asked == [1, 2, 3, 4, 5, 1, 2, 3])
    }

    // MARK: Two at one address

    /// What stands for two loopback bindings of one container is one address.
    @Test func twoPortsOfOneContainerAtOneAddressAreTwoInstances() throws {
        var watch = InstanceWatch()
        watch.offered([try offer(port: 80), try offer(port: 81)], now: .zero)
        let asked = ask(&watch, true, .zero)
        #expect(asked.map(\.description) == ["10.77.0.1:32768", "10.77.0.1:32768"])
        let instances = watch.decision(now: .zero).wanted.map(\.registration.instance)
        #expect(instances == ["c:10.77.0.1:32768:80", "c:10.77.0.1:32768:81"])
    }

    @Test func whatIsOfferedTwiceCountsOnce() throws {
        var watch = InstanceWatch()
        watch.offered([try offer(isChecked: true), try offer(isChecked: true)], now: .zero)
        #expect(published(watch) == ["10.77.0.1:32768 up"] && watch.decision(now: .zero).rivals.isEmpty)
    }

    // MARK: Two for one key

    private func claim(
        _ container: String, _ state: InstanceRecord.State = .up, isChecked: Bool = true, port: Int = 1
    ) throws -> Offer {
        let registration = try Fixture.registration(instance: "one", at: "10.77.0.1:\(port)")
        let id = InstanceWatch.ID(
            container: container, port: 6379, endpoint: registration.endpoint, transport: .tcp)
        return Offer(id: id, wanted: Wanted(registration, state), isChecked: isChecked)
    }

    @Test(arguments: [
        ("a", InstanceRecord.State.up, "b", InstanceRecord.State.up, "a"), ("b", .up, "a", .up, "a"),
        ("a", .draining, "b", .up, "b"), ("b", .up, "a", .draining, "b"), ("b", .draining, "a", .draining, "a"),
    ])
    func oneOfThemHasTheKey(
        _ first: String, _ firstState: InstanceRecord.State, _ second: String, _ secondState: InstanceRecord.State,
        _ winner: String
    ) throws {
        var watch = InstanceWatch()
        let offers = [try claim(first, firstState, port: 1), try claim(second, secondState, port: 2)]
        watch.offered(offers, now: .zero)
        let decision = watch.decision(now: .zero)
        #expect(decision.wanted.count == 1)
        #expect(decision.rivals.map(\.winner.id.container) == [winner])
        #expect(decision.rivals.first?.loser.id.container == (winner == "a" ? "b" : "a"))
        #expect(offers.first { $0.id.container == winner }?.wanted == decision.wanted.first)
    }

    /// Who replaces another takes the key when it can serve, not when it is started.
    @Test func aKeyIsNotLeftToWhoIsNotFitYet() throws {
        var watch = InstanceWatch()
        watch.offered([try claim("a", isChecked: false, port: 1), try claim("b", port: 2)], now: .zero)
        #expect(published(watch) == ["10.77.0.1:2 up"] && watch.decision(now: .zero).rivals.isEmpty)
        ask(&watch, true, .zero)
        #expect(published(watch) == ["10.77.0.1:1 up"])
    }

    // MARK: While the engine is away

    /// One that dies does not take the others along.
    @Test func eachIsBelievedInAsLongAsItAccepts() throws {
        let (one, two) = (try offer("10.77.0.1:1"), try offer("10.77.0.1:2", container: "d"))
        var watch = away([one, two])
        for second in [0, 5] {
            for probe in watch.takeProbes(now: .seconds(second), limit: 100) {
                watch.probed(probe, probe.id == two.id, now: .seconds(second))
            }
        }
        #expect(published(watch, .seconds(5)) == ["10.77.0.1:2 up"])
        #expect(watch.decision(now: .seconds(5)).ended == [one.id: .refused])
        #expect(watch.deadline(now: .seconds(5)) == .seconds(120))
        let asked = ask(&watch, true, .seconds(10))
        #expect(asked == [two.id.endpoint], "nobody asks any more who has gone")
        #expect(watch.decision(now: .seconds(120)).ended == [one.id: .refused, two.id: .tooLong])
        #expect(watch.deadline(now: .seconds(120)) == nil)
        watch.found()
        #expect(published(watch, .seconds(120)).count == 2, "a listing is the truth again")
    }

    @Test func aLossIsCountedFromItsBeginning() throws {
        var watch = away([try offer()])
        watch.lost(now: .seconds(60))
        watch.offered([try offer(), try offer("10.77.0.1:7", isChecked: true)], now: .seconds(60))
        #expect(watch.deadline(now: .seconds(60)) == .seconds(120))
        #expect(published(watch, .seconds(120)).isEmpty)
    }

    /// An answer that comes when the question is no longer the same says nothing.
    @Test func aLateAnswerIsNone() throws {
        var watch = away([try offer()])
        let probe = try #require(watch.takeProbes(now: .zero, limit: 1).first)
        watch.found()
        watch.lost(now: .seconds(2))
        let second = try #require(watch.takeProbes(now: .seconds(2), limit: 1).first)
        watch.probed(probe, false, now: .seconds(2))
        watch.probed(second, false, now: .seconds(3))
        #expect(published(watch, .seconds(3)).count == 1)
        // Also before the next question is put.
        var other = away([try offer()])
        let late = try #require(other.takeProbes(now: .zero, limit: 1).first)
        other.found()
        other.lost(now: .seconds(2))
        other.probed(late, false, now: .seconds(2))
        ask(&other, false, .seconds(7))
        #expect(published(other, .seconds(7)).count == 1)
        let third = try #require(watch.takeProbes(now: .seconds(8), limit: 1).first)
        watch.offered([], now: .seconds(8))
        watch.probed(third, false, now: .seconds(8))
        #expect(watch.decision(now: .seconds(8)).ended.isEmpty)
    }

    @Test func whatCannotBeAskedStaysItsTwoMinutes() throws {
        var watch = away([try offer("10.77.0.1:32768", .up, .udp)])
        #expect(ask(&watch, false, .seconds(60)).isEmpty)
        #expect(published(watch, .seconds(120) - .nanoseconds(1)).count == 1)
        #expect(published(watch, .seconds(120)).isEmpty)
    }
}

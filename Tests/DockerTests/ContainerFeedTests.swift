// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Logging
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct ContainerFeedTests {
    private let engine = ScriptedEngine()
    private let clock = ManualClock()

    private static let redis = Container(id: "r", names: ["redis"], state: .running)
    private static let start = ContainerEvent(action: "start", container: "r", name: "redis")
    private static let gone = DockerError(.unreachable, "nobody answers")

    /// Runs a feed as long as `body`, which takes its updates one by one.
    private func running(
        inspects: Bool = false, logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        _ body: (Updates) async throws -> Void
    ) async throws {
        let feed = ContainerFeed(
            engine: engine, inspects: inspects, logger: logger, clock: clock, random: { 0 })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await feed.run() }
            try await body(Updates(feed.updates))
            group.cancelAll()
            await #expect(throws: CancellationError.self) { try await group.waitForAll() }
        }
    }

    @Test func subscribesBeforeItLists() async throws {
        engine.has([Self.redis])
        try await running { updates in
            #expect(await updates.next()?.listing == [Self.redis])
            #expect(engine.calls == [.negotiate, .follow, .list])
        }
    }

    /// Podman answers a subscription with its first event only (podman#23712).
    @Test(.row("R7")) func listsAlsoWhenASubscriptionIsNotAnswered() async throws {
        engine.keepsSubscriptionsToItself()
        try await running { updates in
            await clock.untilSleeping()
            clock.advance(by: .milliseconds(500))
            #expect(await updates.next()?.listing == [])
        }
    }

    @Test func anEventIsToldAndFollowedByAListing() async throws {
        try await running { updates in
            #expect(await updates.next()?.listing == [])
            await clock.untilSleeping()
            engine.has([Self.redis])
            engine.tells(.container(Self.start))
            #expect(await updates.next()?.event == Self.start)
            await clock.untilSleeping { $0.first.map { $0 <= .milliseconds(100) } ?? false }
            clock.advance(by: .milliseconds(100))
            #expect(await updates.next()?.listing == [Self.redis])
        }
    }

    @Test func aNetworkEventIsFollowedByAListingAlone() async throws {
        try await running { updates in
            #expect(await updates.next()?.listing == [])
            await clock.untilSleeping()
            engine.has([Self.redis])
            engine.tells(.other)
            await clock.untilSleeping { $0.first == .milliseconds(100) }
            clock.advance(by: .milliseconds(100))
            #expect(await updates.next()?.listing == [Self.redis])
        }
    }

    @Test func listsAgainWhenEventsWereSkipped() async throws {
        try await running { updates in
            #expect(await updates.next()?.listing == [])
            engine.has([Self.redis])
            await clock.untilSleeping()
            clock.advance(by: .seconds(30))
            #expect(await updates.next()?.listing == [Self.redis])
        }
    }

    @Test func saysOnceThatTheEngineIsLostAndConnectsAgain() async throws {
        try await running { updates in
            #expect(await updates.next()?.listing == [])
            engine.fails(Self.gone)
            engine.endsEvents()
            #expect(await updates.next()?.lost == .unreachable)
            // 50 ms, 100, 200: without jitter the half of what doubles.
            for pause in [50, 100, 200] as [Int64] {
                await clock.untilSleeping { $0.contains(.milliseconds(pause)) }
                clock.advance(by: .milliseconds(pause))
            }
            engine.has([Self.redis])
            engine.fails(nil)
            await clock.untilSleeping()
            clock.advance(by: .seconds(5))
            #expect(await updates.next()?.listing == [Self.redis], "no second word of the loss")
        }
    }

    /// As Podman without root ends them, after some 95 s (podman#8751): what happened meanwhile nobody tells.
    @Test(.row("R7")) func eventsThatEndAgainAndAgainAreFollowedByAListing() async throws {
        try await running { updates in
            #expect(await updates.next()?.listing == [])
            for round in 1...3 {
                await clock.untilSleeping()
                clock.advance(by: .seconds(95))
                #expect(await updates.next()?.listing != nil, "30 s are over")
                let missed = [Container(id: "\(round)", names: ["redis"], state: .running)]
                engine.has(missed)
                engine.endsEvents()
                #expect(await updates.next()?.lost == .unreachable)
                await clock.untilSleeping { $0.contains(.milliseconds(50)) }
                clock.advance(by: .milliseconds(50))
                #expect(await updates.next()?.listing == missed)
            }
        }
    }

    @Test func aListThatFailsIsALoss() async throws {
        try await running { updates in
            #expect(await updates.next()?.listing == [])
            engine.failsToList(DockerError(.timedOut, "no answer in time"))
            await clock.untilSleeping()
            clock.advance(by: .seconds(30))
            #expect(await updates.next()?.lost == .timedOut)
        }
    }

    // MARK: Inspections

    @Test func readsTheEnvironmentOfEachContainerThatRunsOnce() async throws {
        let variables = ["SERVICE_NAME": "redis"]
        let ended = Container(id: "e", names: ["ended"], state: .exited)
        engine.has([Self.redis, ended])
        engine.has(inspections: ["r": Inspection(environment: variables)])
        try await running(inspects: true) { updates in
            for _ in 0..<2 {
                let listing = try #require(await updates.next()?.listing)
                #expect(listing.map(\.environment) == [variables, [:]])
                await clock.untilSleeping()
                clock.advance(by: .seconds(30))
            }
            #expect(engine.calls.filter { $0 == .inspect("r") }.count == 1 && !engine.calls.contains(.inspect("e")))
        }
    }

    /// A list names a container's image as the container does, until that name means another image (moby).
    @Test func anImageIsCalledAsTheContainerWasMadeWhateverBecomesOfItsName() async throws {
        func listed(_ image: String) -> [Container] {
            [Container(id: "r", names: ["redis"], state: .running, image: image)]
        }
        engine.has(listed("redis:7"))
        engine.has(inspections: ["r": Inspection(image: "redis:7")])
        try await running(inspects: true) { updates in
            #expect(await updates.next()?.listing?.map(\.image) == ["redis:7"])
            engine.has(listed("sha256:0123"))
            await clock.untilSleeping()
            clock.advance(by: .seconds(30))
            #expect(await updates.next()?.listing?.map(\.image) == ["redis:7"])
        }
        engine.has(inspections: ["r": Inspection()])
        try await running(inspects: true) { updates in
            #expect(await updates.next()?.listing?.map(\.image) == ["sha256:0123"], "nobody says better")
        }
    }

    /// The list is older than the answer.
    @Test func whoHasGoneMeanwhileIsListedWithoutAnEnvironment() async throws {
        engine.has([Self.redis])
        try await running(inspects: true) { updates in
            #expect(await updates.next()?.listing?.map(\.environment) == [[:]])
        }
    }

    /// What is not known of a container must not be taken for nothing: it would get another name.
    @Test func anEngineThatRefusesToSayIsLost() async throws {
        engine.has([Self.redis])
        engine.failsToInspect(DockerError(.refused, "403"))
        try await running(inspects: true) { updates in
            #expect(await updates.next()?.lost == .refused)
        }
    }

    /// The others are as well named as ever.
    @Test(arguments: [DockerError.Code.refused, .malformed])
    func aContainerOfWhichTheEngineCannotSayIsLeftOutAlone(_ code: DockerError.Code) async throws {
        let strange = Container(id: "s", names: ["strange"], state: .running, image: "strange")
        engine.has([Self.redis, strange])
        engine.has(inspections: ["r": Inspection(image: "redis:7")])
        engine.failsToInspect(DockerError(code, "500"), of: ["s"])
        let log = LogRecorder()
        try await running(inspects: true, logger: log.logger) { updates in
            for _ in 0..<2 {
                let listing = try #require(await updates.next()?.listing)
                #expect(listing.map(\.image) == ["redis:7", ""])
                await clock.untilSleeping()
                clock.advance(by: .seconds(30))
            }
            let said = log.lines("container cannot be inspected, neither its image nor its environment counts")
            #expect(said.map { $0.text("container") } == ["s"])
        }
    }

    /// It lets us ask.
    @Test func theOnlyContainerMayBeTheStrangeOne() async throws {
        engine.has([Self.redis])
        engine.failsToInspect(DockerError(.malformed, "too long"))
        try await running(inspects: true) { updates in
            #expect(await updates.next()?.listing?.map(\.image) == [""])
        }
    }

    @Test func nobodyIsAskedForAnEnvironmentWithoutNeed() async throws {
        engine.has([Self.redis])
        try await running { updates in
            #expect(await updates.next()?.listing == [Self.redis])
            #expect(!engine.calls.contains(.inspect("r")))
        }
    }

    @Test(arguments: [DockerError.Code.forbidden, .tooOld])
    func whatOnlyAnOperatorCanMendEndsItAtTheStart(code: DockerError.Code) async throws {
        engine.fails(DockerError(code, "no"))
        let feed = ContainerFeed(
            engine: engine, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, clock: clock)
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await feed.run() }
            if code == .forbidden {
                // Once may be an engine that has just made its socket.
                await clock.untilSleeping()
                clock.advance(by: .milliseconds(100))
            }
            let error = await #expect(throws: DockerError.self) { try await group.waitForAll() }
            #expect(error?.code == code)
        }
    }

    @Test func anEngineThatBreaksOffAgainAndAgainIsAskedLessOften() async throws {
        try await running { updates in
            for pause in [50, 100, 200, 400] as [Int64] {
                #expect(await updates.next()?.listing == [])
                engine.endsEvents()
                #expect(await updates.next()?.lost == .unreachable)
                await clock.untilSleeping { $0.contains(.milliseconds(pause)) }
                clock.advance(by: .milliseconds(pause))
            }
            // After a connection that lasted, it begins anew.
            #expect(await updates.next()?.listing == [])
            await clock.untilSleeping()
            clock.advance(by: .seconds(6))
            engine.endsEvents()
            #expect(await updates.next()?.lost == .unreachable)
            await clock.untilSleeping { $0.contains(.milliseconds(50)) }
        }
    }

    @Test func laterItIsALossLikeAnyOther() async throws {
        try await running { updates in
            #expect(await updates.next()?.listing == [])
            engine.fails(DockerError(.forbidden, "no"))
            engine.endsEvents()
            #expect(await updates.next()?.lost != nil)
            await clock.untilSleeping()
        }
    }
}

/// What a feed says, one by one.
private final class Updates {
    private var iterator: AsyncStream<ContainerUpdate>.Iterator

    init(_ stream: AsyncStream<ContainerUpdate>) { iterator = stream.makeAsyncIterator() }

    func next() async -> ContainerUpdate? { await iterator.next(isolation: #isolation) }
}

extension ContainerUpdate {
    fileprivate var listing: [Container]? {
        guard case .listing(let containers) = self else { return nil }
        return containers
    }

    fileprivate var event: ContainerEvent? {
        guard case .event(let event) = self else { return nil }
        return event
    }

    fileprivate var lost: DockerError.Code? {
        guard case .lost(let error) = self else { return nil }
        return error.code
    }
}

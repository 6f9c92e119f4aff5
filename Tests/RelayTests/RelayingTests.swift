// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    @Suite struct RelayingTests {
        @Test(arguments: [1, 2], [.off, SplicePolicy(), SplicePolicy(pipeBytes: 4096, fullReads: 0)])
        func bytesArriveUnchangedBothWays(workers: Int, splicing: SplicePolicy) async throws {
            try await withRelay(workers: workers, splicing: splicing) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let length = 64 << 20
                let (up, down) = (Pattern(seed: 1), Pattern(seed: 2))
                let threads = [
                    // Looked at meanwhile: a pipe that nobody needs goes after a second.
                    Beside {
                        guard splicing != .off else { return }
                        try eventually("a pipe", within: .seconds(60)) { relay.engine.statistics().openPipes > 0 }
                    },
                    Beside { try up.send(length, on: client) }, Beside { try down.send(length, on: served) },
                    Beside { try up.expect(length, on: served) }, Beside { try down.expect(length, on: client) },
                ]
                for thread in threads { try thread.join() }
                let end = try #require(try relay.awaitEnds(1).first)
                #expect(end.reason == .finished)
                #expect(end.bytesFromClient == UInt64(length))
                #expect(end.bytesFromBackend == UInt64(length))
                #expect(end.instance == InstanceID(slot: 0, generation: 1))
                #expect(end.client?.address == .loopbackV4)
                #expect(relay.totals.bytesFromClients == UInt64(length))
                #expect(relay.totals.bytesFromBackends == UInt64(length))
                if splicing == .off { #expect(relay.engine.statistics().openPipes == 0) }
            }
        }

        @Test func answersOfSmallMessagesComeAtOnce() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let echo = Beside {
                    while true {
                        let bytes = try served.receive()
                        if bytes.isEmpty { return }
                        try served.send(bytes)
                    }
                }
                for number in 0..<2_000 {
                    let message = "message \(number) "
                    try client.send(message)
                    #expect(try client.receiveText(message.utf8.count) == message)
                }
                client.endWriting()
                try echo.join()
                served.close()
                #expect(try client.end() == .finished)
            }
        }

        /// Reads and splices stop in front of it, and it keeps its place in the stream.
        @Test(arguments: [.off, SplicePolicy(fullReads: 0), SplicePolicy(fullReads: 1)])
        func urgentBytesNeitherStallTheStreamNorGetLost(splicing: SplicePolicy) async throws {
            try await withRelay(splicing: splicing) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let block = [UInt8](repeating: UInt8(ascii: "."), count: 150_000)
                let receiving = Beside { try served.receiveAll().bytes }
                var sent: [UInt8] = []
                for _ in 0..<20 {
                    try client.send(block)
                    try client.sendUrgently(UInt8(ascii: "!"))
                    try client.send("after")
                    sent += block + Array("!after".utf8)
                    // Everything up to here, though nothing follows that would wake the relay again.
                    try eventually("all of it counted") { relay.totals.bytesFromClients == UInt64(sent.count) }
                }
                client.endWriting()
                #expect(try receiving.join() == sent)
            }
        }

        @Test func bytesSentBeforeTheInstanceAcceptsAreKept() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let client = try relay.connect()
                try client.send("hello")
                client.endWriting()
                let served = try backend.accept()
                #expect(try served.receiveAll().bytes == Array("hello".utf8))
            }
        }

        @Test func answerGoesOnAfterTheClientEnds() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                try client.send("all of it")
                client.endWriting()
                #expect(try served.receiveAll().bytes == Array("all of it".utf8))
                let answer = Pattern(seed: 3)
                let sending = Beside { try answer.send(5 << 20, on: served) }
                try answer.expect(5 << 20, on: client)
                try sending.join()
                #expect(try relay.awaitEnds(1).map(\.reason) == [.finished])
            }
        }

        @Test func requestGoesOnAfterTheBackendEnds() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                try served.send("greeting")
                served.endWriting()
                #expect(try client.receiveAll().bytes == Array("greeting".utf8))
                let request = Pattern(seed: 4)
                let sending = Beside { try request.send(5 << 20, on: client) }
                try request.expect(5 << 20, on: served)
                try sending.join()
                #expect(try relay.awaitEnds(1).map(\.reason) == [.finished])
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func thousandConnectionsRunAtOnce() async throws {
            let before = try await settledDescriptors()
            try DescriptorLimit.raise()
            try await withRelay(workers: 2) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pairs = try (0..<1_000).map { _ in try relay.connectedPair(to: backend) }
                try eventually("all are counted, and no more") { relay.engine.statistics().openConnections == 1_000 }
                #expect(relay.engine.openConnections(to: InstanceID(slot: 0, generation: 1)) == 1_000)
                // The kernel does not say which accepted socket is whose: the client's number does.
                for (number, pair) in pairs.enumerated() { try pair.client.send("\(10_000 + number)") }
                for pair in pairs { try pair.backend.send(try pair.backend.receive(exactly: 5)) }
                for (number, pair) in pairs.enumerated() {
                    #expect(try pair.client.receiveText(5) == "\(10_000 + number)")
                }
                for pair in pairs {
                    pair.client.close()
                    pair.backend.close()
                }
                #expect(try relay.awaitEnds(1_000).allSatisfy { $0.reason == .finished })
            }
            try await onThread {
                try eventually("descriptors are as before") { try openDescriptors() == before }
            }
        }

        @Test func workersShareASingleListener() async throws {
            let engine = try RelayEngine(configuration: RelayConfiguration(workers: 2))
            let sockets = try ListeningSockets.bind(Endpoint(.loopbackV4, port: 0), dualStack: false, count: 1)
            let endpoint = try ListeningSockets.boundEndpoint(of: sockets.numbers[0])
            let backend = try TestBackend()
            let link = Link(id: Link.ID(1), name: "inherited")
            let instance = Instance(id: InstanceID(slot: 0, generation: 1), endpoint: backend.endpoint)
            engine.apply(EndpointSnapshot(sequence: 1, instances: [instance]), to: link.id)
            engine.open(link, listeners: sockets, policy: LinkPolicy())
            async let running: Void = engine.run()
            try await onThread {
                for number in 0..<200 {
                    let client = try TestSocket(connectedTo: endpoint)
                    try client.send("\(1_000 + number)")
                    #expect(try backend.accept().receiveText(4) == "\(1_000 + number)")
                }
                #expect(engine.close(link.id).count == 1)
            }
            engine.shutdown(deadline: .now)
            try await running
        }

        @Test func ipv4ClientsReachADualStackListenerAndAnIPv6Instance() async throws {
            let engine = try RelayEngine(configuration: RelayConfiguration(workers: 1))
            let sockets = try ListeningSockets.bind(Endpoint(.unspecifiedV6, port: 0), dualStack: true, count: 1)
            let port = try ListeningSockets.boundEndpoint(of: sockets.numbers[0]).port
            let backend = try TestBackend(at: Endpoint(.loopbackV6, port: 0))
            let link = Link(id: Link.ID(7), name: "dual")
            let instance = Instance(id: InstanceID(slot: 3, generation: 9), endpoint: backend.endpoint)
            engine.apply(EndpointSnapshot(sequence: 1, instances: [instance]), to: link.id)
            engine.open(link, listeners: sockets, policy: LinkPolicy())
            async let running: Void = engine.run()
            try await onThread {
                let client = try TestSocket(connectedTo: Endpoint(.loopbackV4, port: port))
                try client.send("mapped")
                #expect(try backend.accept().receiveText(6) == "mapped")
                client.close()
                var ended: ConnectionEnd?
                try eventually("the connection ended") {
                    engine.events.drain { if case .connectionEnded(let end) = $0 { ended = end } }
                    return ended != nil
                }
                #expect(ended?.client?.address == .loopbackV4)
                #expect(ended?.link == link.id)
            }
            engine.shutdown(deadline: .now)
            try await running
        }
    }
}

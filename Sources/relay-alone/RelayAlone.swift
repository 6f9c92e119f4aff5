// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import Relay
import ServiceModel

/// The relay without a control plane, for instruments that count what it does: `relay-alone TARGET [KEY=VALUE...]`.
///
/// Listens on a loopback port, which it prints, and carries to TARGET (`127.0.0.1:6379`, `unix:/run/redis.sock`) until
/// its standard input ends. Keys: `port` (0, any free one), `workers` (1), `pipes`, `pipe-bytes`, `full-reads` (as
/// `SplicePolicy`).
@main
struct RelayAlone {
    static func main() async throws {
        var arguments = CommandLine.arguments.dropFirst()
        guard let target = arguments.popFirst().flatMap({ InstanceAddress($0) }) else {
            refuse("TARGET is neither ADDRESS:PORT nor unix:PATH")
        }
        var configuration = RelayConfiguration(workers: 1)
        var port: UInt16 = 0
        for argument in arguments { set(argument, in: &configuration, &port) }
        try DescriptorLimit.raise()
        let engine = try RelayEngine(configuration: configuration)
        let sockets = try ListeningSockets.bind(
            Endpoint(.loopbackV4, port: port), dualStack: false, count: configuration.workers
        )
        print(try ListeningSockets.boundEndpoint(of: sockets.numbers[0]).port)
        fflush(nil)
        let link = Link(id: Link.ID(0), name: "alone")
        engine.open(link, listeners: sockets, policy: LinkPolicy())
        let instance = Instance(id: InstanceID(slot: 0, generation: 1), address: target)
        engine.apply(EndpointSnapshot(sequence: 1, instances: [instance]), to: link.id)
        async let _ = engine.run()
        // Blocks the main thread, which nothing else needs, and leaves without awaiting: libdispatch would park the thread
        // by a call that valgrind 3.19 does not survive (sigsuspend with a constant mask).
        while readLine() != nil {}
        exit(0)
    }

    private static func set(_ argument: String, in configuration: inout RelayConfiguration, _ port: inout UInt16) {
        let parts = argument.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, let value = Int(parts[1]) else { refuse("'\(argument)'; allowed: KEY=NUMBER") }
        switch parts[0] {
        case "port": port = UInt16(clamping: value)
        case "workers": configuration.workers = value
        case "pipes": configuration.splicing.maxPipes = value
        case "pipe-bytes": configuration.splicing.pipeBytes = value
        case "full-reads": configuration.splicing.fullReads = value
        default: refuse("'\(parts[0])'; allowed: port, workers, pipes, pipe-bytes, full-reads")
        }
    }

    private static func refuse(_ text: String) -> Never {
        let line = Array("relay-alone: \(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        exit(64)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import FoundationEssentials
private import Logging
package import Registry
private import RegistryEtcd

/// `legation drain`, `weight` and `undo`: puts an operator's word where every proxy reads it, or takes it away.
package enum OverrideWriter {
    /// Registered instances that a complaint names.
    private static let mostNamed = 10

    /// - Returns: the process's exit status.
    package static func run(_ command: CommandName, _ configuration: OverrideConfiguration) async -> Int32 {
        DaemonRun.ignoreBrokenPipes()
        let logger = DaemonRun.makeLogger(level: configuration.logLevel)
        do {
            let outcome = try await EtcdQuery.withClient(
                await EtcdQuery.configuration(configuration.etcd, logger: logger), logger: logger
            ) { client in
                try await carryOut(configuration, in: EtcdStore(client: client))
            }
            switch outcome {
            case .done(let text): return Console.answer(text + "\n") ? 0 : DaemonRun.failure
            case .refused(let text): throw Refused(description: text)
            }
        } catch {
            Console.complain("legation \(command.rawValue): \(error)")
            return DaemonRun.failure
        }
    }

    private enum Outcome: Sendable {
        case done(String)
        case refused(String)
    }

    private struct Refused: Error, CustomStringConvertible {
        let description: String
    }

    private static func carryOut(
        _ configuration: OverrideConfiguration, in store: EtcdStore
    ) async throws -> Outcome {
        let layout = configuration.etcd.layout
        let key = layout.overrideKey(service: configuration.service, instance: configuration.instance)
        let about = "\(configuration.service)/\(configuration.instance)"
        guard let word = configuration.word else {
            guard let entry = try await store.list(.key(key)).entries.first else {
                return .refused("nobody has said anything about \(about)")
            }
            // Whoever says something else meanwhile has the last word.
            guard try await store.commit([.delete(key, modRevision: entry.modRevision)]) != nil else {
                return .refused("\(about): somebody else has said something meanwhile")
            }
            return .done("undone: \(about)")
        }
        switch try await finding(configuration, in: store) {
        case .known: break
        case .elsewhere(let warning): Console.complain("legation: \(warning)")
        case .unknown(let complaint): return .refused(complaint)
        }
        let now = Date.now
        let until = configuration.lasts.map { now.addingTimeInterval($0 / .seconds(1)) }
        let record = OverrideRecord(
            word, by: configuration.by, since: now.formatted(.iso8601), until: until?.formatted(.iso8601))
        _ = try await store.commit([
            RegistryWrite(key: key, condition: .none, operation: .put(record.encoded(), lease: nil))
        ])
        let what =
            switch word {
            case .draining: "drained"
            case .weight(let weight): "weight \(weight)"
            }
        return .done("\(what): \(about) " + (record.until.map { "until \($0)" } ?? "until it is undone"))
    }

    /// What is known of the name that a word is about.
    package enum Finding: Sendable, Hashable {
        case known
        /// Nothing of the service stands here, as where links read it from a prefix of its own.
        case elsewhere(warning: String)
        case unknown(complaint: String)
    }

    /// A name that nobody has is most often a typing error, and would go unnoticed.
    package static func finding(
        _ configuration: OverrideConfiguration, in store: any RegistryStore
    ) async throws(RegistryError) -> Finding {
        let layout = configuration.etcd.layout
        let listing = try await store.list(layout.range(of: configuration.service), keysOnly: true)
        let names = listing.entries.compactMap { entry in
            layout.parse(entry.key).flatMap { $0.service == configuration.service ? $0.instance : nil }
        }
        if ([OverrideRecord.everyInstance] + names).contains(configuration.instance) { return .known }
        if await isHeld(configuration, in: store) { return .known }
        let said = "no instance \(configuration.instance) of \(configuration.service) is registered"
        if names.isEmpty {
            return .elsewhere(
                warning: "\(said) below \(layout.root); proxies that read \(configuration.service) elsewhere (--format "
                    + "\(configuration.service)=FORMAT:PREFIX) follow the word all the same")
        }
        let named = names.prefix(mostNamed).joined(separator: ", ") + (names.count > mostNamed ? ", …" : "")
        return .unknown(complaint: "\(said); there are \(named)")
    }

    /// Whether a proxy goes on with an instance whose key has gone. Who may not ask is told of no such instance.
    private static func isHeld(_ configuration: OverrideConfiguration, in store: any RegistryStore) async -> Bool {
        let layout = configuration.etcd.layout
        guard let listing = try? await store.list(layout.holdsRange) else { return false }
        return listing.entries.contains { entry in
            guard let place = layout.parseHold(entry.key)?.place else { return false }
            return place.service == configuration.service && place.instance == configuration.instance
        }
    }
}

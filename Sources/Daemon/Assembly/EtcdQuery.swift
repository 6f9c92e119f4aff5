// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
package import Logging
package import Registry
private import RegistryEtcd

/// Asks etcd a few questions and ends: what `services`, `nodes` and `check-etcd` have in common.
package enum EtcdQuery {
    /// Of one question, a connection included. With one question after another an etcd that is gone is told of within
    /// 10 s.
    private static let patience = Duration.seconds(4)

    /// The operator's configuration, with less patience than a daemon has.
    package static func configuration(_ access: EtcdAccess, logger: Logger) async -> EtcdConfiguration {
        var configuration = await EtcdSearch().configuration(for: access, logger: logger)
        configuration.requestTimeout = patience
        return configuration
    }

    /// Reads `ranges` and prints what `answer` makes of them: once, or with `--watch` after each change.
    /// - Returns: the exit status.
    package static func run(
        _ configuration: QueryConfiguration, _ command: String, ranges: [RegistryRange],
        answer: @escaping @Sendable ([RegistryRange: RegistryListing], any RegistryStore) async -> QueryWatch.Answer
    ) async -> Int32 {
        DaemonRun.ignoreBrokenPipes()
        if configuration.watches { DaemonRun.endAtSignals() }
        let logger = DaemonRun.makeLogger(level: configuration.logLevel)
        do {
            let etcd = await Self.configuration(configuration.etcd, logger: logger)
            let once = try await withClient(etcd, logger: logger) { client -> QueryWatch.Answer? in
                let store = EtcdStore(client: client)
                // Also before a watch: whoever mistyped an address wants to be told.
                let listings = try await list(ranges, in: store)
                guard configuration.watches else { return await answer(listings, store) }
                let watch = QueryWatch(
                    store: store, ranges: ranges, printsJSON: configuration.printsJSON
                ) { await answer($0, store) }
                try await watch.run()
                return nil
            }
            return once.map { Self.answer(configuration, text: $0.text, json: $0.json) } ?? 0
        } catch {
            Console.complain("legation \(command): \(error)")
            return DaemonRun.failure
        }
    }

    /// Who may not read one of the others is shown the first.
    private static func list(
        _ ranges: [RegistryRange], in store: EtcdStore
    ) async throws -> [RegistryRange: RegistryListing] {
        var listings: [RegistryRange: RegistryListing] = [:]
        for range in Set(ranges) {
            listings[range] = try await Self.list(range, isNeeded: range == ranges.first, in: store)
        }
        return listings
    }

    private static func list(
        _ range: RegistryRange, isNeeded: Bool, in store: EtcdStore
    ) async throws(RegistryError) -> RegistryListing {
        do {
            return try await store.list(range)
        } catch {
            guard error.code == .permissionDenied, !isNeeded else { throw error }
            return RegistryListing(revision: 0, entries: [])
        }
    }

    /// Runs a client for as long as `body` does.
    package static func withClient<Result: Sendable>(
        _ configuration: EtcdConfiguration, logger: Logger,
        _ body: @escaping @Sendable (EtcdClient) async throws -> Result
    ) async throws -> Result {
        let client = try EtcdClient(configuration: configuration, logger: logger)
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                try await client.run()
                return nil
            }
            group.addTask { try await body(client) }
            defer { group.cancelAll() }
            while let outcome = try await group.next() {
                if let result = outcome { return result }
            }
            throw EtcdError(.cancelled, "the client ended before the answer")
        }
    }

    /// Does `body` for each element, at most `width` at a time. - Returns: the results in the order of the elements.
    package static func map<Element: Sendable, Result: Sendable>(
        _ elements: [Element], width: Int, _ body: @escaping @Sendable (Element) async -> Result
    ) async -> [Result] {
        await withTaskGroup(of: (Int, Result).self) { group in
            var results = [Result?](repeating: nil, count: elements.count)
            for (index, element) in elements.enumerated() {
                if index >= width, let (done, result) = await group.next() { results[done] = result }
                group.addTask { (index, await body(element)) }
            }
            while let (done, result) = await group.next() { results[done] = result }
            return results.compactMap(\.self)
        }
    }

    /// Prints `json` or `text`, whichever was asked for. - Returns: the exit status.
    package static func answer(_ configuration: QueryConfiguration, text: String, json: JSONObject, isOK: Bool = true)
        -> Int32
    {
        let answer = configuration.printsJSON ? String(decoding: json.encoded(), as: UTF8.self) + "\n" : text
        return Console.answer(answer) && isOK ? 0 : DaemonRun.failure
    }

    /// Lease questions at a time: enough for a thousand in a second or two, few enough for a busy cluster.
    private static let leaseQuestions = 16

    /// Time left on each of `leases`; none where the store no longer knows it or does not answer.
    package static func remaining(
        of leases: Set<RegistryLease>, in store: any RegistryStore
    ) async -> [RegistryLease: Duration] {
        let answers = await map(Array(leases), width: leaseQuestions) { lease in
            (lease, try? await store.remaining(of: lease))
        }
        return Dictionary(uniqueKeysWithValues: answers.compactMap { lease, left in left.map { (lease, $0) } })
    }
}

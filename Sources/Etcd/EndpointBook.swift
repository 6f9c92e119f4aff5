// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Which endpoint is tried next: those that were configured, for ever, and those that the cluster has named since.
struct EndpointBook {
    /// Never empty, never replaced: what a cluster says of itself may not be reachable from here.
    private let seeds: [EtcdEndpoint]
    private var learned: [EtcdEndpoint] = []
    private var index: Int

    /// - Parameter first: which seed is tried first; a random one, so that clients do not all pile on the same.
    init(seeds: [EtcdEndpoint], first: Int) {
        self.seeds = seeds
        index = first
    }

    private var all: [EtcdEndpoint] { seeds + learned }

    var count: Int { all.count }

    var current: EtcdEndpoint { all[index % count] }

    mutating func advance() { index = (index + 1) % count }

    /// Members as the cluster lists them. Learners do not serve; one without a name has not started yet.
    mutating func learn(_ members: [Member]) {
        let current = current
        let mayBePlain = seeds.contains { !$0.usesTLS }
        var known = Set(seeds)
        learned = members.filter { !$0.isLearner && !$0.name.isEmpty }
            .flatMap { $0.clientURLs.compactMap { EtcdEndpoint($0) } }
            // Where all that was configured is encrypted, a token is not shown to what is not.
            .filter { mayBePlain || $0.usesTLS }
            .filter { known.insert($0).inserted }
        index = all.firstIndex(of: current) ?? 0
    }
}

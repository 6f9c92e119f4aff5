// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel

extension EtcdCluster {
    /// One more process at 127.0.0.4, which copies what the members have and is no member: it answers next to nothing.
    package func learner() async throws -> EtcdProcess {
        let address = IPAddress(v4: 0x7f00_0004)
        let seat = EtcdProcess.Seat(
            name: "learner", client: Endpoint(address, port: 2379), peer: Endpoint(address, port: 2380),
            directory: "\(try stage.directory())/learner", more: ["--initial-cluster-state", "existing"])
        let learner = EtcdProcess(
            version: members[0].version, certificates: nil, seat: seat, network: holder, stage: stage)
        // Refused until each member has been heard of for some seconds.
        try await waitFor("a learner is taken") {
            try await members[0].control(
                ["member", "add", learner.name, "--learner", "--peer-urls", learner.peerURL]
            ).succeeded
        }
        learner.join(members + [learner])
        try await learner.start(awaitHealth: false)
        return learner
    }
}

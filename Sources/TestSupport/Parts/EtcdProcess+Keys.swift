// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

extension EtcdProcess: EtcdByHand {
    package var place: Network { network.map { .of($0) } ?? .own }

    package func control(_ arguments: [String]) async throws -> Outcome {
        let common = ["--endpoints", url] + (certificates?.toolArguments ?? [])
        return try await stage.run(
            Command(
                version.program("etcdctl"), common + arguments, environment: ["ETCDCTL_API": "3"], networkOf: network))
    }

    func isHealthy() async throws -> Bool {
        if certificates != nil { return try await control(["endpoint", "health"]).succeeded }
        return try await revision() >= 0
    }
}

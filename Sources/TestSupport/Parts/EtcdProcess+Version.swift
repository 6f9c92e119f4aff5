// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel

extension EtcdProcess {
    package enum Version: String, Sendable, CaseIterable, CustomStringConvertible {
        /// The system's package.
        case v3_4 = "3.4.23"
        /// Placed in `build/` by `Scripts/install-needs`. It can lose consistency when it is killed (etcd#13766).
        case v3_5 = "3.5.1"
        /// Placed in `build/` by `Scripts/install-etcd-3.5.16`, for `make slow`.
        case v3_5_16 = "3.5.16"

        /// Those that are there wherever tests run, or the one that `LEGATION_ETCD_VERSION` names (`make slow`).
        package static var allCases: [Version] { chosen.map { [$0] } ?? [.v3_4, .v3_5] }

        /// Nil also when the variable names none of ours: EtcdCluster complains of that.
        private static var chosen: Version? {
            ProcessInfo.processInfo.environment["LEGATION_ETCD_VERSION"].flatMap { Version(rawValue: $0) }
        }

        package var description: String { rawValue }

        private var folder: String { self == .v3_4 ? "/usr/bin" : "\(PackageRoot.path)/build/etcd-\(rawValue)" }

        func program(_ name: String) throws -> String {
            let path = "\(folder)/\(name)"
            guard FileManager.default.isExecutableFile(atPath: path) else {
                let script = self == .v3_5_16 ? "install-etcd-\(rawValue)" : "install-needs"
                throw MissingPart("no \(path) (etcd \(rawValue)): Scripts/\(script)")
            }
            return path
        }
    }

    /// Where a member sits.
    struct Seat: Sendable {
        let name: String
        let client: Endpoint
        let peer: Endpoint
        let directory: String
        /// By which a firewall knows what the member dials.
        var group: Int?
        /// A process that has the file system of the data.
        var mounts: ProcessUnderTest?
        /// Added to the program's arguments.
        var more: [String] = []
    }
}

// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import FoundationEssentials
import TestSupport

/// What engines said, or would say.
enum Fixture {
    static func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: "\(PackageRoot.path)/Tests/DockerTests/Fixtures/\(name)")))
    }
}

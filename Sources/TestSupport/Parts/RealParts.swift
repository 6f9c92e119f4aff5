// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import Synchronization

/// Keeps the list of real parts (etcd, Redis) that tests have used, from which `make test` prints its closing table.
package enum RealParts {
    /// Where the list goes; nothing is kept when it is not set.
    private static let log = ProcessInfo.processInfo.environment["LEGATION_PARTS_LOG"]
    private static let lock = Mutex(())

    /// Appends `part <tab> version <tab> test`.
    /// - Throws: when the list cannot be written: a table that lacks lines would be a lie.
    static func record(_ part: String, version: String, test: String) throws {
        guard let log else { return }
        let line = Data("\(part)\t\(version)\t\(test)\n".utf8)
        try lock.withLock { _ in
            if !FileManager.default.fileExists(atPath: log) { try Data().write(to: URL(fileURLWithPath: log)) }
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
            defer { try? file.close() }
            try file.seekToEnd()
            try file.write(contentsOf: line)
        }
    }
}

/// Places in the package that tests need.
package enum PackageRoot {
    /// The folder of Package.swift.
    package static let path: String = {
        var url = URL(fileURLWithPath: #filePath)
        // Sources/TestSupport/Parts/RealParts.swift
        for _ in 0..<4 { url.deleteLastPathComponent() }
        return url.path
    }()
}

/// Something that a test needs is not there: a failure, never a reason to skip.
package struct MissingPart: FinalFailure, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

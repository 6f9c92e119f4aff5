// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A user of etcd's own authentication, and where its password is.
///
/// A certificate whose CommonName is a user needs none of this, and costs the servers no bcrypt; where both are given,
/// etcd takes the user.
public struct EtcdCredentials: Hashable, Sendable {
    public enum Password: Hashable, Sendable {
        /// Read anew at each authentication, so that a rotated password needs no restart. Line ends behind it are dropped.
        case file(String)
        case literal(String)
    }

    public var user: String
    public var password: Password

    public init(user: String, password: Password) {
        self.user = user
        self.password = password
    }
}

/// Names the user only: whoever prints a configuration does not print a password.
extension EtcdCredentials: CustomStringConvertible {
    public var description: String { "user \(user)" }
}

extension EtcdCredentials.Password: CustomStringConvertible {
    public var description: String {
        switch self {
        case .file(let path): "password in \(path)"
        case .literal: "password"
        }
    }
}

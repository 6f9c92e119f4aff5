// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How to reach a cluster, and how patient to be with it.
public struct EtcdConfiguration: Sendable {
    /// At least one; tried in turn from a random one on, so that clients do not all pile on the first.
    public var endpoints: [EtcdEndpoint]
    /// For `https://` endpoints; nil means the system's authorities and no client certificate.
    public var tls: EtcdTLS?
    /// A user of etcd's own authentication; nil: none, or the certificate's CommonName.
    public var credentials: EtcdCredentials?

    /// Of each step that takes a member into use: TCP connect; authentication; the first answer, TLS before it included.
    /// 2 s: a member on the same continent answers in well under one, and the next endpoint should not wait longer for a
    /// dead one.
    public var connectTimeout: Duration = .seconds(2)
    /// Deadline of one call, waiting for a connection included. 5 s: etcd's own request timeout at its default
    /// election time is 7 s, of which 5 s are for the disk and the network (server/config.ReqTimeout).
    public var requestTimeout: Duration = .seconds(5)
    /// Deadline of one attempt of a call; reads are then tried again until `requestTimeout`. 2.5 s: a request that was
    /// forwarded to a leader which died is never answered, and the next leader is there after 1 to 2 s.
    public var attemptTimeout: Duration = .milliseconds(2500)
    /// HTTP/2 PING while a stream is open. etcd refuses less than 5 s (grpc-keepalive-min-time), clientv3's dialects
    /// and our promise to notice a black hole within 15 s make it 10 + 5.
    public var keepaliveTime: Duration = .seconds(10)
    public var keepaliveTimeout: Duration = .seconds(5)
    /// Largest message that the client takes. etcd sends what it has pending in one unfragmented message.
    public var maximumMessageBytes = 32 << 20
    /// Keys fetched by one Range of a paged list (client/v3/mirror's batch).
    public var pageSize: Int64 = 1000
    public var backoff = Backoff()
    /// Changes that a watch holds for a consumer that does not take them; one more, and they are dropped for a relist
    /// when the consumer comes back. 10,000: as many keys as a large registry has.
    public var watchQueueLimit = 10_000
    /// A watch stream on which nothing comes for so long is opened anew: etcd reports progress about every 10 minutes.
    public var watchSilenceLimit: Duration = .seconds(660)
    /// How often the files of `tls` are looked at; a change makes a new connection. Half of the promised minute.
    public var tlsReloadInterval: Duration = .seconds(30)
    /// How often the members' client URLs are added to `endpoints`; nil: never, since they are the members' word and may
    /// not be routable from here.
    public var memberSyncInterval: Duration?
    /// Members below it are not used; nil: any.
    public var minimumVersion: EtcdVersion?
    /// Off only in the test that shows what happens without `PingAnswerer`.
    var answersPings = true
    /// What a server that says GOAWAY gets to answer what was asked before it is left. The next connection waits for it.
    var goAwayGrace: Duration = .milliseconds(500)

    public init(endpoints: [EtcdEndpoint], tls: EtcdTLS? = nil, credentials: EtcdCredentials? = nil) {
        self.endpoints = endpoints
        self.tls = tls
        self.credentials = credentials
    }
}

/// Files of the client's side of TLS, PEM.
public struct EtcdTLS: Hashable, Sendable {
    /// Authorities to trust instead of the system's.
    public var caFile: String?
    /// The client's certificate chain; with `privateKeyFile`, both or none.
    public var certificateFile: String?
    public var privateKeyFile: String?

    public init(caFile: String? = nil, certificateFile: String? = nil, privateKeyFile: String? = nil) {
        self.caFile = caFile
        self.certificateFile = certificateFile
        self.privateKeyFile = privateKeyFile
    }
}

/// How long to wait before trying again: full jitter under a doubling ceiling, so that a fleet that lost etcd together
/// does not come back together.
public struct Backoff: Sendable {
    /// Ceiling of the first wait. 50 ms: a member that restarts answers within that when it was only a blip.
    public var initial: Duration = .milliseconds(50)
    /// Ceiling of every later one. 5 s keeps recovery after an outage within the promise of registration (TTL 5 s up).
    public var maximum: Duration = .seconds(5)

    public init() {}

    /// - Parameters:
    ///   - attempt: failures so far in a row, from 1.
    ///   - random: 0.0..<1.0.
    public func delay(afterAttempt attempt: Int, random: Double) -> Duration {
        let doublings = min(max(0, attempt - 1), 20)
        return min(initial * (1 << doublings), maximum) * random
    }
}

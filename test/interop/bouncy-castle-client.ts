/**
 * A Java program around Bouncy Castle's EST client (org.bouncycastle.est, its own TLS in BCJSSE). It reads one command per
 * line and answers each with one line, so that a test pays for one start of the virtual machine.
 */
export const clientSource = String.raw`
import java.io.*;
import java.math.BigInteger;
import java.net.Socket;
import java.nio.file.*;
import java.security.*;
import java.security.cert.CertificateFactory;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.cert.Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.*;
import javax.net.ssl.*;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.*;
import org.bouncycastle.est.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.jsse.BCSSLSocket;
import org.bouncycastle.jsse.provider.BouncyCastleJsseProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

public class EstRig {
  static String server, tlsVersion, label;
  static Set<TrustAnchor> anchors = new HashSet<>();
  static Map<String, KeyPair> keys = new HashMap<>();
  static Map<String, Certificate[]> chains = new HashMap<>();
  static ESTAuth auth;
  static String identity;
  static EnrollmentResponse pending;
  static String pendingKey;
  static List<X509Certificate> authorities = new ArrayList<>();

  public static void main(String[] args) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    Security.addProvider(new BouncyCastleJsseProvider());
    server = args[0];
    CertificateFactory factory = CertificateFactory.getInstance("X.509");
    try (InputStream in = Files.newInputStream(Path.of(args[1]))) {
      for (Certificate c : factory.generateCertificates(in)) anchors.add(new TrustAnchor((X509Certificate) c, null));
    }
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null; ) {
      String answer;
      try {
        answer = run(line.split(" "));
      } catch (ESTException e) {
        answer = "refused " + e.getStatusCode() + " " + bodyOf(e);
      } catch (Throwable e) {
        StringWriter trace = new StringWriter();
        e.printStackTrace(new PrintWriter(trace));
        answer = "error " + trace.toString().replace("\n", " | ");
      }
      System.out.println(answer);
      System.out.flush();
    }
  }

  static String run(String[] words) throws Exception {
    switch (words[0]) {
      case "tls": tlsVersion = words[1]; return "ok";
      case "label": label = words.length > 1 ? words[1] : null; return "ok";
      case "key": keys.put(words[1], generate(words[2])); return "ok";
      case "basic": auth = new JcaHttpAuthBuilder(words[1], words[2].toCharArray()).build(); return "ok";
      case "nobasic": auth = null; return "ok";
      case "identity": identity = words.length > 1 ? words[1] : null; return "ok";
      case "cacerts": return cacerts();
      case "csrattrs": return csrattrs();
      case "enroll": return enrolled(words[1], service().simpleEnroll(false, csr(words).build(signer(words[1])), auth));
      case "reenroll": return enrolled(words[1], service().simpleEnroll(true, csr(words).build(signer(words[1])), auth));
      case "enrollpop": return enrolled(words[1], service().simpleEnrollPoP(false, csr(words), signer(words[1]), auth));
      case "reenrollpop": return enrolled(words[1], service().simpleEnrollPoP(true, csr(words), signer(words[1]), auth));
      case "keygen": return keygen(words);
      case "retry": return enrolled(pendingKey, service().simpleEnroll(pending));
      default: return "error unknown command";
    }
  }

  static String cacerts() throws Exception {
    CACertsResponse response = service().getCACerts();
    authorities.clear();
    StringBuilder subjects = new StringBuilder("ok");
    for (X509CertificateHolder holder : ESTService.storeToArray(response.getCertificateStore())) {
      authorities.add(new JcaX509CertificateConverter().getCertificate(holder));
      subjects.append(" ").append(Base64.getEncoder().encodeToString(holder.getEncoded()));
    }
    return subjects.toString();
  }

  static String csrattrs() throws Exception {
    CSRRequestResponse response = service().getCSRAttributes();
    if (!response.hasAttributesResponse()) return "none";
    StringBuilder names = new StringBuilder("ok");
    for (ASN1ObjectIdentifier id : response.getAttributesResponse().getRequirements()) names.append(" ").append(id.getId());
    return names.toString();
  }

  static String keygen(String[] words) throws Exception {
    EnrollmentResponse response =
        service().simpleEnrollWithServersideCreation(csr(words).build(signer(words[1])), auth);
    X509CertificateHolder holder = ESTService.storeToArray(response.getStore())[0];
    PrivateKey key = BouncyCastleProvider.getPrivateKey(response.getPrivateKeyInfo());
    X509Certificate certificate = new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder);
    Signature signature = Signature.getInstance("SHA256withECDSA", "BC");
    signature.initSign(key);
    signature.update(holder.getEncoded());
    byte[] proof = signature.sign();
    signature.initVerify(certificate.getPublicKey());
    signature.update(holder.getEncoded());
    return (signature.verify(proof) ? "ok " : "mismatch ") + Base64.getEncoder().encodeToString(holder.getEncoded());
  }

  static String enrolled(String name, EnrollmentResponse response) throws Exception {
    if (!response.isCompleted()) {
      pending = response;
      pendingKey = name;
      return "pending " + Math.max(0, response.getNotBefore() - System.currentTimeMillis());
    }
    X509CertificateHolder[] holders = ESTService.storeToArray(response.getStore());
    if (holders.length != 1) return "error " + holders.length + " certificates";
    X509Certificate leaf = new JcaX509CertificateConverter().getCertificate(holders[0]);
    if (!leaf.getPublicKey().equals(keys.get(name).getPublic())) return "error not our key";
    List<Certificate> chain = new ArrayList<>();
    chain.add(leaf);
    for (X509Certificate authority : authorities) {
      if (authority.getSubjectX500Principal().equals(leaf.getIssuerX500Principal())) chain.add(authority);
    }
    chains.put(name, chain.toArray(new Certificate[0]));
    return "ok " + Base64.getEncoder().encodeToString(holders[0].getEncoded());
  }

  static ESTService service() throws Exception {
    X509TrustManager[] trust = JcaJceUtils.getCertPathTrustManager(anchors, null);
    JsseESTServiceBuilder builder = new JsseESTServiceBuilder(server, trust);
    builder.withProvider("BCJSSE").withTLSVersion(tlsVersion).withTimeout(20000);
    builder.addCipherSuites(new String[] {
      "TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"});
    if (label != null) builder.withLabel(label);
    if (identity != null) {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      store.setKeyEntry("id", keys.get(identity).getPrivate(), new char[0], chains.get(identity));
      builder.withKeyManagers(JcaJceUtils.createKeyManagerFactory("X.509", "BCJSSE", store, new char[0]).getKeyManagers());
    }
    builder.withChannelBindingProvider(new ChannelBindingProvider() {
      public boolean canAccessChannelBinding(Socket socket) { return socket instanceof BCSSLSocket; }
      public byte[] getChannelBinding(Socket socket, String binding) {
        return ((BCSSLSocket) socket).getConnection().getChannelBinding(binding);
      }
    });
    return builder.build();
  }

  /** words: command, key, subject, and perhaps a URI for the subject alternative name. */
  static PKCS10CertificationRequestBuilder csr(String[] words) throws IOException {
    PublicKey key = keys.get(words[1]).getPublic();
    PKCS10CertificationRequestBuilder builder =
        new JcaPKCS10CertificationRequestBuilder(new X500Principal(words[2]), key);
    if (words.length > 3) {
      GeneralNames names = new GeneralNames(new GeneralName(GeneralName.uniformResourceIdentifier, words[3]));
      ExtensionsGenerator extensions = new ExtensionsGenerator();
      extensions.addExtension(Extension.subjectAlternativeName, false, names);
      builder.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, extensions.generate());
    }
    return builder;
  }

  static ContentSigner signer(String name) throws Exception {
    PrivateKey key = keys.get(name).getPrivate();
    return new JcaContentSignerBuilder(key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA").build(key);
  }

  static KeyPair generate(String algorithm) throws Exception {
    if (algorithm.equals("rsa")) {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
      generator.initialize(2048);
      return generator.generateKeyPair();
    }
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec("secp256r1"));
    return generator.generateKeyPair();
  }

  static String bodyOf(ESTException e) throws IOException {
    InputStream body = e.getBody();
    return body == null ? "" : new String(body.readAllBytes(), "UTF-8").trim();
  }
}
`

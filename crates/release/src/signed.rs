//! One signed file that is no release of Mattermost's, such as Mainstay's own program: proven by the same code.
use std::path::Path;

use url::Url;

use crate::cache::SIGNATURE;
use crate::download::{self, Watch, download, small};
use crate::error::ReleaseError;
use crate::failure::{DownloadError, shown};
use crate::fetch::{FetchError, SIGNATURE_FILE};
use crate::network::Network;
use crate::openpgp::PublicKey;
use crate::proof::{Proof, Unproven, prove};

/// Brings the file at `url` to `to`, and proves it by the detached signature that lies beside it, with `.sig` after its name. What comes
/// may be gone on with by a later call; what is not proven is not kept.
///
/// # Errors
/// It does not come, is larger than `most` bytes, or is not what was signed.
pub async fn fetch_signed(
    url: &Url,
    (to, most): (&Path, u64),
    key: &PublicKey,
    network: &Network,
    watch: &Watch<'_>,
) -> Result<Proof, FetchError> {
    let not_come = |error: DownloadError| FetchError::NoSite { file: shown(url), causes: vec![error] };
    let mut of_signature = url.clone();
    of_signature.set_path(&format!("{}{SIGNATURE}", url.path()));
    let text = small(network, &of_signature, SIGNATURE_FILE).await.map_err(not_come)?;
    // One by another key is refused before the file comes.
    key.signature(&text)
        .map_err(|why| FetchError::Refused { what: shown(&of_signature), why: why.into() })?;
    download(network, url, to, most, watch).await.map_err(not_come)?;
    let proof =
        proven(to, text, key.clone()).await.map_err(|why| FetchError::Refused { what: shown(url), why });
    if proof.is_err() {
        download::forget(to);
    }
    proof
}

/// Proves the file `copy`, which was copied from `file`, by the signature beside that.
///
/// # Errors
/// There is no signature, or it is not what was signed.
pub async fn prove_beside(file: &Path, copy: &Path, key: &PublicKey) -> Result<Proof, FetchError> {
    let mut name = file.as_os_str().to_owned();
    name.push(SIGNATURE);
    let signature = Path::new(&name);
    let text = host::disk::read_guarded(signature, SIGNATURE_FILE);
    let text = text.map_err(|error| ReleaseError::disk("read", signature, error.source))?;
    let what = file.display().to_string();
    proven(copy, text.bytes, key.clone()).await.map_err(|why| FetchError::Refused { what, why })
}

async fn proven(file: &Path, signature: Vec<u8>, key: PublicKey) -> Result<Proof, Unproven> {
    let file = file.to_owned();
    match tokio::task::spawn_blocking(move || prove(&file, &signature, &key, None)).await {
        Ok(proof) => proof,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A text of at most `most` bytes.
///
/// # Errors
/// It does not come.
pub async fn fetch_text(url: &Url, most: u64, network: &Network) -> Result<String, DownloadError> {
    let bytes = small(network, url, most).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

// SPDX-License-Identifier: Apache-2.0

/** The promises of vendors as tests, without silicon. */
package org.iommu4j.tck.vendor;

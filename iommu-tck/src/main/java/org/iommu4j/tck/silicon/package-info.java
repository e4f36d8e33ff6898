// SPDX-License-Identifier: Apache-2.0

/** The promises of simulated silicon as tests. */
package org.iommu4j.tck.silicon;

// SPDX-License-Identifier: Apache-2.0

/** The platforms of this repository keep the promises of ports. */
package org.iommu4j.tck.ports;
